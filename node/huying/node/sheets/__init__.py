"""Tables in and out: CSV and workbooks that people prepared, and those that they open.

What comes in is hostile until read: a file is measured before it is decoded, a workbook is read
in a process of its own (`workbook_child`), every cell becomes text, and no formula is ever
evaluated or passed on. What goes out can't become a formula either (`writing`). Errors name the
row as the spreadsheet shows it, the column, and what to do, in Chinese and English.
"""

from huying.node.sheets.errors import RowError, SheetError
from huying.node.sheets.faulty import ADDED_COLUMNS, FaultyRows, write_faulty
from huying.node.sheets.header import column_key, match_columns
from huying.node.sheets.importing import Import, OnError
from huying.node.sheets.reading import Sheet, SheetRow, read_sheet
from huying.node.sheets.writing import Cell, write_table

__all__ = [
    "ADDED_COLUMNS",
    "Cell",
    "FaultyRows",
    "Import",
    "OnError",
    "RowError",
    "Sheet",
    "SheetError",
    "SheetRow",
    "column_key",
    "match_columns",
    "read_sheet",
    "write_faulty",
    "write_table",
]
