"""Which rank each layer gets: curves of what ranks lose, rules that spend a budget on them."""
