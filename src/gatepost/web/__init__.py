"""HTTP servers as the faces share them."""
