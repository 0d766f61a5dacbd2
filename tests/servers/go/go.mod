module finrace.test/server

go 1.19
