// The smallest net/http server with a settable idle timeout: `server ADDRESS`, IDLE_TIMEOUT in the environment.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"time"
)

func main() {
	if os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	server := http.Server{Addr: os.Args[1], Handler: http.HandlerFunc(answer)}
	if text := os.Getenv("IDLE_TIMEOUT"); text != "" {
		idle, err := time.ParseDuration(text)
		if err != nil {
			fail(err)
		}
		server.IdleTimeout = idle
	}
	fail(server.ListenAndServe())
}

func answer(response http.ResponseWriter, request *http.Request) {
	io.Copy(io.Discard, request.Body)
	io.WriteString(response, "ok\n")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}
