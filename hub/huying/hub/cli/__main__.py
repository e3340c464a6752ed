"""`python -m huying.hub.cli`: the console command, where it is not installed."""

from huying.hub.cli import main

if __name__ == "__main__":
    main()
