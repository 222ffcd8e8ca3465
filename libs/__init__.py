"""What every service stands on and knows no business word, except the facts and questions they share."""
