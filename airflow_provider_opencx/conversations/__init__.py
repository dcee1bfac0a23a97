"""Conversations: what calls leave behind, waited for and counted."""
