"""``python -m sb3_distral``."""

from sb3_distral.cli import main

if __name__ == "__main__":
    main()
