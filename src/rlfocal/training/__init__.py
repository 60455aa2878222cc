"""How agents learn: environment, rollouts, credit, proximal policy optimisation, the trainer."""
