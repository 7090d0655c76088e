package main

import (
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

// The timestamp authority's own server, with the key and chain it makes for itself in memory.
type tsa struct {
	handler http.Handler
	chain   []byte
}

func newTSA() (*tsa, error) {
	viper.Set("timestamp-signer", "memory")
	viper.Set("timestamp-signer-hash", "sha256")
	viper.Set("default-policy-oid", "1.3.6.1.4.1.57264.2")
	viper.Set("accepted-policy-oids", []string{"1.3.6.1.4.1.57264.2"})
	api := server.NewRestAPIServer("127.0.0.1", 0, []string{"http"}, false, 10*time.Second, 10*time.Second)
	handler := api.GetHandler()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/api/v1/timestamp/certchain", nil))
	return &tsa{handler, recorder.Body.Bytes()}, nil
}
