"""民情台账, the village's ledger: households, residents, visits, and spreadsheets of them."""
