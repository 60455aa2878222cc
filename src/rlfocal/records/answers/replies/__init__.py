"""How a reply of any kind is read: without its thinking, by its markers, to what it settles on."""
