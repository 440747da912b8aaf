"""The store contract, one module for each part of the port; ``StoreContract`` joins them."""
