"""`python -m tests.privacy.forgetting`."""

import sys

from tests.privacy.forgetting.prove import main

sys.exit(main())
