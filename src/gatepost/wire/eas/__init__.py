"""ActiveSync requests and answers (MS-ASHTTP, MS-ASCMD, MS-ASPROV)."""
