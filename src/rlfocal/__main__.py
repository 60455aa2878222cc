"""`python -m rlfocal`: the command line, where no script of it is on the path."""

from rlfocal.cli.main import main

if __name__ == "__main__":
    main()
