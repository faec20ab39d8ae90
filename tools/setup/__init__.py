"""Set-up: the scripts behind the Makefile, and the generator of the documentation's pages."""
