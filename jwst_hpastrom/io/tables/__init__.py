"""Tables of any origin become standard ones: catalogs, star lists, epochs, offsets and motions."""
