"""Load for servers on this machine: an open-loop sender, mock upstreams, and what they cost."""
