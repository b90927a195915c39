"""A tenant's document table: its documents' columns on the disk, so that requests send ids alone.

    <store>/<tenant>/.documents/current.json     what the table is: columns, parts, sizes; replaced as a whole
    <store>/<tenant>/.documents/<part>/          rows of one load or upsert, never changed once they are there
        rows.arrow                               columns, an Arrow IPC file, mapped into memory
        ids.bin, starts.bin                      the ids' bytes, one behind the other, and where each starts
        keys.bin, slots.bin                      a hash table from ids to rows
    <store>/<tenant>/.documents/.lock            taken by writers, never by readers

A document stands as the newest part has it. A writer puts a part in place, then names it in `current.json`,
then removes what nothing names any more: a process that dies at any point leaves the old table or the new
one.
"""

from cascade.documents.table import Found, Table, open_table
from cascade.documents.writer import Documents

__all__ = ["Documents", "Found", "Table", "open_table"]
