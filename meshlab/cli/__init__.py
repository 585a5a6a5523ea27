"""What can one type in a terminal? One module per verb; `main.py` joins them."""
