"""A second iBGP session: routers without BMP tell what they prefer."""
