"""What goes with a call: pictures of an answer and of an event, and what is withheld.

A picture reaches those whom its step reaches, when the step does, and nobody else; what is withheld
is asked for from the call's own page.
"""

from __future__ import annotations

import io
import re
from hashlib import sha256

from PIL import Image

from huying.common.records.evidence_parts import Picture, parts_of
from huying.wire.v1 import feed_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.tiny_network import COUNTY, VILLAGE, event, put
from tests.unit.console.call_console import HELPER, CallConsoles
from tests.unit.console.call_deeds import form_of, handling, reviewing


def _photo(colour: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (320, 240), colour).save(made, "JPEG")
    return made.getvalue()


def _answer_with_photo(consoles: CallConsoles, call: str, photo: bytes) -> ConsoleUnderTest:
    site = consoles.as_department()
    form = form_of(consoles.page(site, call), "answer")
    files = {"attachment": ("现场.jpg", photo, "image/jpeg")}
    sent = site.post(form.action, {**form.fields, "text": "照片见附件"}, files=files)
    assert sent.status_code == 303, text_of(sent.text)[:600]
    assert "files-lost" not in sent.headers["location"]
    return site


def test_a_photo_goes_with_the_answer_to_the_town(consoles: CallConsoles, call: str) -> None:
    """Whoever confirms wants to see what was done."""
    handling(consoles, call)
    _answer_with_photo(consoles, call, _photo("red"))
    page = consoles.page(consoles.as_clerk(), call).text
    (source,) = set(re.findall(r'<img src="(/media/[^"]+)"', page.split('id="matter"')[1]))
    picture = consoles.town.get(source)
    assert picture.headers["content-type"] == "image/jpeg"
    digest = source.split("/media/")[1].split("?")[0]
    assert f"/media/{digest}" in page.split('id="conversation"')[1]  # named by the answer, too
    stranger = consoles.as_department("交通局")
    assert stranger.get(source).status_code == 404


def test_a_department_sees_the_pictures_of_its_calls_event_and_of_no_other(
    consoles: CallConsoles, call: str
) -> None:
    """A responder reads no events; its call must not open the village's whole album."""
    handling(consoles, call)
    network = consoles.served.network
    page = consoles.page(consoles.as_centre(), call).text
    own = bytes.fromhex(re.findall(rf'href="/events/{VILLAGE}/([0-9a-f]+)"', page)[0])
    (other,) = network.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, event(2)))
    links = []
    for record, colour in ((own, "orange"), (other.record, "purple")):
        photo = _photo(colour)
        picture = Picture(record, feed_pb2.RECORD_TYPE_EVENT, "photo.jpg", "image/jpeg")
        network.append(VILLAGE, *parts_of(picture, photo))
        links.append(f"/media/{sha256(photo).hexdigest()}?call={call}")
    site = consoles.as_department()
    assert links[0] in consoles.page(site, call).text
    assert [site.get(link).status_code for link in links] == [200, 404]
    assert consoles.as_department("交通局").get(links[0]).status_code == 404


def test_a_photo_under_review_waits_for_the_review(consoles: CallConsoles) -> None:
    """An answer that is returned must have shown the town nothing, pictures neither."""
    with reviewing(consoles):
        call = handling(consoles, consoles.raise_call("带图审核"))
        _answer_with_photo(consoles, call, _photo("blue"))
        assert '<img src="/media/' not in consoles.page(consoles.as_clerk(), call).text
        assert '<img src="/media/' in consoles.page(consoles.as_centre(), call).text
        consoles.step(consoles.as_centre(), call, "review", sent="yes")
        page = consoles.page(consoles.as_clerk(), call).text
        (source,) = set(re.findall(r'<img src="(/media/[^"]+)"', page))
        assert consoles.town.get(source).status_code == 200


def test_a_step_that_is_refused_hands_out_no_file(consoles: CallConsoles, call: str) -> None:
    """Who comes second must not leave a picture in a call that another one answered."""
    handling(consoles, call)
    site = consoles.as_department()
    form = form_of(consoles.page(site, call), "answer")
    consoles.step(site, call, "answer", text="先答了")
    size = consoles.feed_size(COUNTY)
    files = {"attachment": ("x.jpg", _photo("green"), "image/jpeg")}
    refused = site.post(form.action, {**form.fields, "text": "后答"}, files=files)
    assert refused.status_code == 409
    assert consoles.feed_size(COUNTY) == size


def test_a_file_that_is_no_picture_is_refused_with_the_text_kept(
    consoles: CallConsoles, call: str
) -> None:
    """A refused file is chosen again; a refused answer is not typed again."""
    handling(consoles, call)
    site = consoles.as_department()
    form = form_of(consoles.page(site, call), "answer")
    files = {"attachment": ("x.jpg", b"<html>no picture</html>", "image/jpeg")}
    refused = site.post(form.action, {**form.fields, "text": "写好的"}, files=files)
    assert refused.status_code == 400
    assert form_of(refused, "answer").fields["text"].strip() == "写好的"
    consoles.step(site, call, "answer", text="写好的")


def test_what_is_withheld_is_asked_for_from_the_call_and_looked_at_once(
    consoles: CallConsoles, call: str
) -> None:
    """A responder who can't reach the reporter asks the village, not the telephone book."""
    handling(consoles, call)
    site = consoles.as_department()
    page = consoles.page(site, call)
    assert "保留在" in page.text
    assert "13800000000" not in page.text
    form = next(
        one
        for one in forms_of(page.text)
        if one.fields.get("origin", "").split("/feed/")[-1].startswith(VILLAGE)
    )
    sent = site.post(
        form.action, {**form.fields, "fields": "reporter_phone", "purpose": "联系现场核实"}
    )
    assert sent.status_code == 303, text_of(sent.text)[:500]
    record = sent.headers["location"].split("/")[2].split("?")[0]
    consoles.served.settle()
    waiting = consoles.page(site, call)
    assert "待决定" in waiting.text
    consoles.village.sign_in("village_clerk")
    decide = consoles.village.get(f"/provisions/{record}/approve")
    assert consoles.village.fill(decide, "/approve").status_code == 303
    consoles.served.settle()
    site = consoles.as_department()
    given = consoles.page(site, call)
    assert "已同意" in given.text
    assert "13800000000" not in given.text
    shown = site.fill(given, f"/provisions/{record}/open")
    assert "13800000000" in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert "13800000000" not in consoles.page(site, call).text
    helper = consoles.as_department(HELPER)
    assert f"/provisions/{record}/open" not in consoles.page(helper, call).text
