"""What an installation is made of; nothing here is part of the package."""
