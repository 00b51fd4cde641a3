"""Joins the rooms: the one package that knows more than one of them."""
