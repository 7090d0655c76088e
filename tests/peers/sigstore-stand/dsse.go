package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
)

// The `log-dsse` command: a keyless bundle of an envelope gets an entry of kind dsse 0.0.2.
func printWithDSSE(args []string) error {
	flags := flag.NewFlagSet("log-dsse", flag.ExitOnError)
	dir := flags.String("dir", "", "folder of the running stand")
	file := flags.String("bundle", "", "a bundle v0.3 with a certificate and an envelope")
	_ = flags.Parse(args)
	addresses, err := readAddresses(*dir)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	bundle := map[string]any{}
	if err := json.Unmarshal(data, &bundle); err != nil {
		return err
	}
	material, _ := bundle["verificationMaterial"].(map[string]any)
	certificate, envelope := material["certificate"], bundle["dsseEnvelope"]
	if certificate == nil || envelope == nil {
		return errors.New("the bundle has no certificate or no envelope")
	}
	entry, err := logged(addresses["rekor2"], map[string]any{"dsseRequestV002": map[string]any{
		"envelope": envelope,
		"verifiers": []any{map[string]any{
			"x509Certificate": certificate,
			"keyDetails":      "PKIX_ECDSA_P256_SHA_256",
		}},
	}})
	if err != nil {
		return err
	}
	material["tlogEntries"] = []any{entry}
	return json.NewEncoder(os.Stdout).Encode(bundle)
}

func logged(log string, request any) (map[string]any, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	response, err := http.Post(log+"/api/v2/log/entries", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("Rekor v2 answered %s: %s", response.Status, answer)
	}
	entry := map[string]any{}
	if err := json.Unmarshal(answer, &entry); err != nil {
		return nil, err
	}
	delete(entry, "inclusionPromise") // null: this log makes none
	return entry, nil
}
