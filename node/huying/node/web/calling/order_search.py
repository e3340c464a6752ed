"""A page of the list of hotline orders, searched where the person typed a number or words."""

from __future__ import annotations

from typing import Final

from huying.node.store.order_queries import OrderRow, OrderWish
from huying.node.store.queries import pack_token
from huying.node.store.reader import Page as Rows
from huying.node.store.reader import Reader
from huying.node.store.text_scan import Scanned, has_words, scan

__all__ = ["ORDER_PAGE_ROWS", "orders_page"]

ORDER_PAGE_ROWS: Final = 50


def orders_page(reader: Reader, wish: OrderWish, words: str, token: bytes) -> Scanned[OrderRow]:
    """The next rows; with `words` those whose number at the source or whose text has them.

    Blocks. Raises HuyingError(INVALID_ARGUMENT) for a token that is not ours.
    """

    def rows(limit: int, after: bytes) -> Rows[OrderRow]:
        return reader.list_orders(wish, limit=limit, page_token=after)

    if not words:
        page = rows(ORDER_PAGE_ROWS, token)
        return Scanned(page.rows, page.next_token, 0, 0)
    return scan(rows, lambda row: _matches(row, words), _place, limit=ORDER_PAGE_ROWS, token=token)


def _matches(row: OrderRow, words: str) -> bool:
    order = row.order
    told = "" if row.result is None else row.result.text
    texts = order.descriptor, order.description, order.category, order.agency, told
    return has_words(words, order.source_id, *texts)


def _place(row: OrderRow) -> tuple[int, bytes]:
    micros = row.order.created_micros
    return micros, pack_token(micros, row.home, row.record)
