"""The store contract, one module for each part of the port; ``StoreContract`` is all of them."""
