"""One file per provider, each with a `PROVIDER`. Found by looking into this folder: there is no list to edit."""
