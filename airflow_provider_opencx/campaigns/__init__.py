"""What calls people: whom, when, and at most once."""
