"""``python -m sb3_distral.zoo``."""

from sb3_distral.zoo import main

if __name__ == "__main__":
    main()
