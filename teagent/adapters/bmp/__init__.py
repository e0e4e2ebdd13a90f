"""BMP: routers tell what they hold."""
