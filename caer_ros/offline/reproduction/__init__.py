"""The papers' tables, trained and measured anew by one command each."""
