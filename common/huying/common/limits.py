"""Every limit, in one place, with its unit last in the name and its reason beside it."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# Feed (docs/FEED.md).
ENTRY_BYTES_MAX: Final = 16 * KIB  # leaf and openings together; what is larger is an attachment
COMPARTMENTS_MAX: Final = 16  # one ordinal nibble's worth; a leaf stays under 530 bytes
SALT_BYTES: Final = 16  # 128 bits: a commitment can't be guessed open
RECORD_ID_BYTES: Final = 16
ORIGIN_BYTES_MAX: Final = 200  # its length is one byte in the commitment
EPOCH_MAX: Final = 2**31 - 1  # ten digits in an origin; an epoch is one key
SELECTORS_MAX: Final = 4  # bounds the classes of an entry, and so the head
CLASSES_MAX: Final = 32  # ancestors, path nodes and selectors of one entry
NOTE_BYTES_MAX: Final = 64 * KIB
NOTE_SIGNATURES_MAX: Final = 16
TREE_SIZE_MAX: Final = 2**48  # fits every database's signed 64-bit integer with room
PROOF_HASHES_MAX: Final = 48  # the depth of a tree of TREE_SIZE_MAX
PROOF_FILE_BYTES_MAX: Final = 128 * KIB  # a note, an entry in base64, and the hashes
COMMIT_ENTRIES_MAX: Final = 1024  # entries under one checkpoint, so that a segment can end at one
CERTIFICATE_BYTES_MAX: Final = 2 * KIB  # DER; an EC P-256 one has some 400

# Segments.
SEGMENT_ENTRIES_MAX: Final = 1024
SEGMENT_BYTES_MAX: Final = 1 * MIB
SEGMENT_BYTES_MIN: Final = 8 * KIB
# A segment's cut is decided by whole entries and hidden runs, so a frame may exceed the segment
# target by one entry, the rest and the note.
FRAME_BYTES_MAX: Final = 2 * MIB
# What the transport takes before it cuts the stream; above FRAME_BYTES_MAX so that the refusal is
# ours, and named.
TRANSPORT_BYTES_MAX: Final = 8 * MIB
SEGMENT_TARGET_SECONDS: Final = 0.5

# Sessions.
UNACKED_BYTES_MAX: Final = 8 * MIB  # a slow reader holds this much of a sender's memory
WANT_ENTRIES_MAX: Final = 1024  # entries one Want may span
WANTS_IN_FLIGHT_MAX: Final = 16
HELLO_FEEDS_MAX: Final = 4096
DEFERRED_EPOCHS_MAX: Final = 4  # of one node, whose keys have not come yet
CLOCK_OFFSET_WARN_SECONDS: Final = 60.0
# Received in one transaction behind a backlog. Well under a window of UNACKED_BYTES_MAX, so that
# the next batch is on its way while this one is verified.
ENGINE_BATCH_BYTES_MAX: Final = 1 * MIB
ENGINE_BATCH_INPUTS_MAX: Final = 4096
APPEND_QUEUE_MAX: Final = 8192

# Bundles (docs/SYNC.md, "Bundles").
BUNDLE_PAYLOAD_BYTES_MAX: Final = 64 * MIB  # decompressed; checked before it is allocated
BUNDLE_BYTES_MAX: Final = 66 * MIB  # the file: what does not compress, sealed and framed
BUNDLE_HEADER_BYTES_MAX: Final = 1 * KIB
BUNDLE_FRAMES_MAX: Final = 65536
BUNDLE_WANTS_MAX: Final = 1024  # of one peer, kept until its next bundle
BUNDLE_SECRET_BYTES: Final = 16
RECEIPT_BYTES_MAX: Final = 8 * MIB  # an acknowledgement for each feed of a Hello, notes included

# Liveness.
PULSE_SECONDS: Final = 60.0
PULSE_JITTER: Final = 0.1
PULSES_MISSED_MAX: Final = 3  # after as many intervals without a pulse an origin is stale
CONFIRM_SECONDS: Final = 10.0  # how long a start waits for the parent before it writes
WANT_RETRY_SECONDS_MIN: Final = 1.0
WANT_RETRY_SECONDS_MAX: Final = 60.0
WITHHELD_GRACE_SECONDS: Final = 10.0  # asked for this long, and still not there
WITHHELD_BEHIND_SECONDS: Final = 86400.0  # and a body, while an erasure may yet explain it
RETRY_SECONDS_MIN: Final = 0.5
RETRY_SECONDS_MAX: Final = 60.0

# Links.
DIAL_SECONDS_MAX: Final = 10.0  # from dialling to the parent's first word
STREAM_AGE_SECONDS_MAX: Final = 3600.0  # then the child dials anew, so that no trust outlives it
DRAIN_SECONDS: Final = 3.0  # how long a stop waits for the last acknowledgements
CHILDREN_MAX: Final = 2048  # direct children of one node, and so of sessions at once
KEEPALIVE_SECONDS: Final = 30.0  # the same on both ends, or the server ends the connection
KEEPALIVE_TIMEOUT_SECONDS: Final = 30.0  # a ping waits behind what a thin link carries
LINK_QUEUE_BYTES_MAX: Final = 32 * MIB  # towards one peer; past this it reads too slowly: cut
INPUT_QUEUE_BYTES_MAX: Final = 16 * MIB  # from all peers together, waiting for the engine
INPUT_QUEUE_MAX: Final = 16384

# Enrolment.
TOKEN_HOURS_MAX: Final = 24.0  # a token that was mislaid is worthless the next day
TOKEN_CHARACTERS_MAX: Final = 4096  # four keys with their names, two addresses
INVITES_MAX: Final = 4096  # files that a parent keeps; the oldest that are over go first
ENROL_BYTES_MAX: Final = 64 * KIB  # a request, or a response with the pins of all ancestors
ENROL_SECONDS_MAX: Final = 10.0  # for a stranger to say what it wants
ENROLMENTS_MAX: Final = 16  # of strangers at once; each may hold its place that long
JOIN_REFUSALS_MAX: Final = 10  # of one address in a row; then one a JOIN_REFUSAL_SECONDS
JOIN_REFUSAL_SECONDS: Final = 6.0
FALLBACK_SECONDS: Final = 86400.0  # without a fresh pulse of the root: try the other address too

# Trust.
WAITING_KEYS_MAX: Final = 8  # of one node, that nobody confirmed; a parent may invent any number
STRANDED_ENTRIES_MAX: Final = 4096  # listed, and written again, at once

# Requests.
LIST_ENTRIES_DEFAULT: Final = 100
LIST_ENTRIES_MAX: Final = 1000
CALL_EARLIER_STEPS_MAX: Final = (
    100  # steps named to a party that joins late; they fit into its entry
)
PARTY_SUMMARY_CHARACTERS_MAX: Final = 1000  # of a description, told to a party that joins late
MEASURE_ROWS_MAX: Final = 5000  # of one report; categories are the callers' own words
MEASURE_MONTHS_MAX: Final = 12  # of a report by month
CALL_STEPS_MAX: Final = 1000  # shown of one call; an honest one has ten
CALL_INDEX_BYTES_MAX: Final = 4 * MIB  # of the list in an exported call, state included
TEXT_CHARACTERS_MAX: Final = 4000
NAME_CHARACTERS_MAX: Final = 200
LEDGER_SCAN_RECORDS_MAX: Final = 1000  # read for one page of a list narrowed by a field's value

# Late disclosure and erasure. What one statement names is done in one transaction.
LATE_RANGES_MAX: Final = 512  # in one statement; they fit into an entry
LATE_SPAN_ENTRIES_MAX: Final = 4096  # entries that the ranges of one statement hold together
DISCLOSURE_READERS_MAX: Final = 16
RECEIPT_ERASURES_MAX: Final = 128  # confirmed by one entry
RECEIPT_SECONDS: Final = 5.0  # how long erasures gather before they are confirmed together
SCRUB_RETRY_SECONDS: Final = 1.0  # after somebody's reading kept the log from being emptied

# Disclosure on request (docs/DISCLOSURE.md).
PROVISION_SECONDS_MAX: Final = 30 * 86400.0  # from the request to the day the value is dropped
PROVISION_KEPT_DAYS_MIN: Final = 1096  # three years, leap day included: the record that law asks

# Fields of records.
PROPOSAL_BYTES_MAX: Final = 12 * KIB  # the sequencer's took repeats it in one entry
INTEGER_MAX: Final = 2**63 - 1  # what every database's signed 64-bit integer holds
PHONE_CHARACTERS_MAX: Final = 32  # with country code, blanks and an extension
ID_NUMBER_CHARACTERS_MAX: Final = 32  # resident IDs have 18; passports and permits vary
SATISFACTION_STARS_MAX: Final = 5  # stars; 0 where not rated
CO_HANDLERS_MAX: Final = 16  # departments that help one lead
HOUSEHOLD_RESIDENTS_MAX: Final = 1000  # a dormitory is one household
GRID_HOUSEHOLDS_MAX: Final = 100_000  # an exclusive grid may be a campus

# Evidence (docs/UPLOADS.md).
EVIDENCE_PART_BYTES_MAX: Final = 12 * KIB  # of a picture's bytes; with its openings, one entry
EVIDENCE_PARTS_MAX: Final = 8  # entries of one picture, so that a photo costs no more than a call
EVIDENCE_BYTES_MAX: Final = EVIDENCE_PARTS_MAX * EVIDENCE_PART_BYTES_MAX  # of what travels: 96 KiB
EVIDENCE_PICTURES_MAX: Final = 24  # shown of one event or call; an honest one has three
EVIDENCE_HOME_BYTES_MAX: Final = (
    EVIDENCE_PART_BYTES_MAX  # of a picture that stays home: one part, so that it is asked for once
)

# Uploads (docs/UPLOADS.md).
PHOTO_BYTES_MAX: Final = 20 * MIB  # the file as it is handed in; a handset's photo has 3 to 12
PHOTO_PIXELS_MAX: Final = 64_000_000  # width times height; the best handsets take 50 million
PHOTO_KEPT_SIDE_PIXELS_MAX: Final = 2560  # the longer side of what is kept where it was handed in
PHOTO_READER_BYTES_MAX: Final = 1024 * MIB  # address space of the process that decodes a picture
PHOTO_READER_SECONDS_MAX: Final = 20  # of processor time, likewise
PHOTO_DECODERS_MAX: Final = 2  # at once, for all that hand in pictures at one node
PHOTO_WAIT_SECONDS_MAX: Final = 30.0  # for a turn; then: busy
UPLOAD_FREE_BYTES_MIN: Final = 256 * MIB  # left on the disk after an upload, for the node
UPLOAD_KEPT_SECONDS: Final = 172_800.0  # two days until a picture that no entry names is removed

# Policies and calendars (docs/POLICY.md).
PERIOD_UNITS_MAX: Final = 10_000  # days or hours; some forty years of working days
CALENDAR_DATES_MAX: Final = 800  # holidays and workdays of one calendar; they fit into an entry
DAY_PARTS_MAX: Final = 8  # of the working hours of a day
VERSIONS_MAX: Final = 1000  # shown of one history
POLICY_FILE_BYTES_MAX: Final = 64 * KIB  # four times what an entry holds, for comments
TIMER_POLL_SECONDS: Final = 2.0  # between two looks for clocks that ran out
TIMER_BATCH_STEPS_MAX: Final = 100  # written in one transaction; each folds a call
TIMER_RETRY_SECONDS: Final = 60.0  # before a call whose step was out of place is looked at again
HEARTBEAT_SECONDS: Final = 30.0  # between two touches of the file that an outage is told by
OUTAGE_DAYS_MAX: Final = 92  # of a longer gap of it the machine's clock is suspected
DEPARTMENT_LABELS_MAX: Final = 200  # departments with metrics of their own; the rest are one

# Backups and sealed copies (docs/BACKUP.md).
BACKUP_HEADER_BYTES_MAX: Final = 8 * KIB  # most of it is the path of the key folder
BACKUP_FILE_BYTES_MAX: Final = 64 * KIB  # a key, a pin or a configuration in a backup
BACKUP_FILES_MAX: Final = 8192  # in one backup: pins, and a key for every epoch there was
BACKUP_PICTURES_MAX: Final = 1_000_000  # in one backup: handed in at a county within years
SEALED_ENTRIES_MAX: Final = 256  # entries one sealed copy covers
SEALED_PLAIN_BYTES_MAX: Final = 512 * KIB  # before sealing; well within a frame
SEALED_BYTES_MAX: Final = SEALED_PLAIN_BYTES_MAX + 2 * KIB  # with its seal and its framing
SEALED_GROWN_BYTES_MAX: Final = 16 * KIB  # a copy this large is not made anew for a few entries
SEALED_SECONDS: Final = 1.0  # between two copies on their way up
SEALED_QUIET_SECONDS: Final = 30.0  # so long a few new entries wait for more
SEALED_CHILD_BYTES_MAX: Final = 1024 * MIB  # of one child, at its parent
SEALED_CHILD_COPIES_MAX: Final = 65_536  # of one child, at its parent
SEALED_RANGES_MAX: Final = 4096  # named in one SealedHeld

# Tables that people bring (docs/DUTY.md).
SHEET_BYTES_MAX: Final = 64 * MIB  # the file; a year's orders of a county as CSV
SHEET_ROWS_MAX: Final = 200_000
SHEET_COLUMNS_MAX: Final = 256
SHEET_CELL_CHARACTERS_MAX: Final = 32_767  # what a spreadsheet's cell can hold
SHEET_LINE_CHARACTERS_MAX: Final = 1 * MIB  # of a text file, where quotes or line ends went wrong
SHEET_TITLE_ROWS_MAX: Final = 10  # above the header
SHEET_MEMBERS_MAX: Final = 1024  # files that a workbook packs; a report has twenty
SHEET_UNPACKED_BYTES_MAX: Final = 256 * MIB  # of a workbook, all members together
SHEET_READER_BYTES_MAX: Final = 1024 * MIB  # address space of the process that reads a workbook
SHEET_READER_SECONDS_MAX: Final = 60  # of processor time, likewise
ROW_ERRORS_MAX: Final = 100  # shown of one import
FAULTY_ROWS_MAX: Final = 5000  # of one workbook of refused rows; the others come the next time
SUGGESTIONS_MAX: Final = 20  # items of a duty list for one call

# Ask (docs/ASK.md).
ASK_MONTHS_MAX: Final = (
    24  # so far back a question is answered; bounds what anybody can have counted
)
ASK_REFUSALS_MAX: Final = 64  # a home writes, whatever it is asked
ASK_CELLS_MAX: Final = 40  # of one template; a tally is one entry
CENSUS_RECORDS_MAX: Final = 200_000  # a home counts over; its memory while it does
TEMPLATE_BYTES_MAX: Final = 16 * KIB
TEMPLATE_NAME_CHARACTERS_MAX: Final = 64

# Hotline orders (docs/HOTLINE.md).
MAPPING_BYTES_MAX: Final = 256 * KIB  # a mapping file; most of it is a table of values
ORDER_BATCH_BYTES_MAX: Final = 4 * MIB  # of orders in one request
ORDER_IMPORTS_MAX: Final = 8  # files of orders that a console keeps between check and import
ORDER_IMPORT_SECONDS: Final = 3600.0  # that such a file, which holds contacts, waits for a word
ORDER_NEAR_SECONDS: Final = 259_200.0  # three days between two tellings of one matter
ORDER_COMPARISONS_MAX: Final = 16  # earlier orders of one caller, and of one place
ORDER_CANDIDATES_MAX: Final = 4096  # earlier orders read again for one batch
CURSOR_BYTES_MAX: Final = 1 * MIB  # of a watch: a line for each feed (docs/INTEGRATION.md)

# Accounts of the console (docs/ACCOUNTS.md).
ACCOUNTS_MAX: Final = 10_000  # of one node; a county of 60 departments has some hundreds
LOGIN_CHARACTERS_MIN: Final = 2
LOGIN_CHARACTERS_MAX: Final = 64
PASSWORD_CHARACTERS_MIN: Final = 12  # between the 8 and the 15 of NIST SP 800-63B-4
PASSWORD_CHARACTERS_MAX: Final = 128  # what a password manager writes fits
PASSWORD_UNGUESSED_CHARACTERS_MIN: Final = 6  # beside common words, runs and repetitions
PASSWORD_HASHES_MAX: Final = 2  # at once, in one process; each takes 19 MiB
PASSWORD_HASH_WAIT_SECONDS: Final = 5.0  # for one of them to end; then: busy
ONE_TIME_PASSWORD_SECONDS: Final = 259_200.0  # three days: a weekend lies between
SECOND_FACTOR_SECONDS: Final = 300.0  # between the password and the code; to confirm a new factor
REAUTHENTICATED_SECONDS: Final = 600.0  # after a password was given, its owner still sits there
RECOVERY_CODES: Final = 10  # of one person, each for one time
PERSON_MINUTE_PAGES_MAX: Final = 600  # that one person may ask for; open tabs ask by themselves
PERSON_MINUTE_COSTLY_PAGES_MAX: Final = 20  # of those, exports and the like
SECURITY_KEYS_MAX: Final = 10  # of one person
SECURITY_KEY_CHARACTERS_MAX: Final = 16_384  # of what a key answers
SESSIONS_MAX: Final = 20  # of one person; the one that was quiet longest ends first
SESSION_TOUCH_SECONDS: Final = 60.0  # between two notes that a session is in use
SESSION_REMEMBERED_SECONDS: Final = 86400.0  # after it ran out, so that a draft finds its owner
SETUP_LINK_SECONDS: Final = 86400.0
LOGIN_FAILURES_MAX: Final = 5  # of one login from one address, before it has to wait
LOGIN_SPREAD_FAILURES_MAX: Final = 20  # of one login from all addresses, or of one address
LOGIN_MINUTE_FAILURES_MAX: Final = 60  # of all together, a minute
LOGIN_DELAY_SECONDS_MAX: Final = 300.0  # no wait is longer, so nobody is locked out for good
LOGIN_SPREAD_DELAY_SECONDS_MAX: Final = 30.0  # of a login that many addresses try
LOGIN_ALL_DELAY_SECONDS_MAX: Final = 10.0  # of addresses that nobody signed in from before
KNOWN_ADDRESS_SECONDS: Final = 2_592_000.0  # 30 days after a login succeeded from there
THROTTLE_ROWS_MAX: Final = 10_000
AUDIT_KEPT_SECONDS_MIN: Final = 15_897_600.0  # 184 days: the six months of the Cybersecurity Law
AUDIT_KEPT_SECONDS: Final = 31_622_400.0  # 366 days
AUDIT_TEXT_CHARACTERS_MAX: Final = 200  # of one cell
AUDIT_PAGE_ROWS_MAX: Final = 200
CONSOLE_FREE_BYTES_MIN: Final = 4 * MIB  # on the console's disk, or no form is taken
AUDIT_TOLD_AGAIN_ROWS: Final = 1000  # said on the log where it is not known which was the last
DRAFT_BYTES_MAX: Final = 64 * KIB
DRAFTS_MAX: Final = 50  # of one person; the oldest goes first
DRAFT_SECONDS: Final = 2_592_000.0  # 30 days
SAVED_VIEWS_MAX: Final = 50  # of one person
CALL_SCAN_ROWS_MAX: Final = 3000  # calls, events or orders whose text one page of a search reads
CALL_SCAN_SECONDS_MAX: Final = 0.09  # likewise
LIST_EXPORT_ROWS_MAX: Final = 5000  # events, or orders, of one file for a spreadsheet
HISTORY_SCAN_SECONDS_MAX: Final = 0.1  # for the versions of an event in its feed
URGED_CALLS_MAX: Final = 100  # by one form
CALL_CHOICES_MAX: Final = 200  # categories, or departments, that a filter offers
VIEW_QUERY_CHARACTERS_MAX: Final = 2000

# The operations view (docs/OPERATIONS.md).
RETRIED_ENTRIES_MAX: Final = 256  # entries in quarantine judged again in one transaction
TROUBLE_ROWS_MAX: Final = 1000  # of what is missing, or alarmed, in one answer
HISTORY_SECONDS: Final = 60.0  # between two samples of lag and disk
HISTORY_SAMPLES: Final = 1440  # a day of them is remembered
HISTORY_KEPT_SECONDS: Final = 600  # between two writes of it, for after a restart
HISTORY_FILE_BYTES_MAX: Final = 8 * MIB  # all feeds' rings, with room
HISTORY_FEEDS_MAX: Final = 1024  # of which lag is remembered; 6 MB in all

# The ledger's spreadsheets (docs/CONSOLE.md).
LEDGER_SHEET_BYTES_MAX: Final = 8 * MIB  # a village of 6,000 has half of one
LEDGER_SHEET_ROWS_MAX: Final = 20_000
LEDGER_SHEET_ERRORS_MAX: Final = 5000  # kept of one import; the first ROW_ERRORS_MAX are shown
LEDGER_FAULTY_FILES_MAX: Final = 40  # workbooks of refused rows; the oldest goes first
LEDGER_IMPORT_ENTRIES_MAX: Final = 512  # written at once; an import goes on between two of them
LEDGER_IMPORT_BYTES_MAX: Final = 1 * MIB  # likewise
LEDGER_IMPORT_SECONDS: Final = 5.0  # of writing, until the page says how far it is
LEDGER_IMPORT_KEPT_SECONDS: Final = 86400.0  # then what was uploaded is removed, done or not
