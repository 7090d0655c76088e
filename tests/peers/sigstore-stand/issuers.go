package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

const (
	emailIssuer  = "https://issuer.example.test"
	googleIssuer = "https://accounts.google.com"
	githubIssuer = "https://token.actions.githubusercontent.com"
)

// The OIDC issuers Fulcio knows, with the kind of certificate each gets.
var issuerTypes = map[string]string{
	emailIssuer:  "email",
	googleIssuer: "email",
	githubIssuer: "github-workflow",
}

// The issuers: one key signs the tokens of all.
//
// Fulcio finds an issuer's key at the issuer's own address, so requests there are answered within
// the process and never leave it.
type issuers struct {
	key    *ecdsa.PrivateKey
	signer jose.Signer
}

func newIssuers() (*issuers, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "stand"}}, nil)
	if err != nil {
		return nil, err
	}
	i := &issuers{key, signer}
	http.DefaultTransport = &withinProcess{i, http.DefaultTransport}
	return i, nil
}

// Answers for the issuers, and lets through what goes to loopback.
type withinProcess struct {
	issuers *issuers
	next    http.RoundTripper
}

func (t *withinProcess) RoundTrip(request *http.Request) (*http.Response, error) {
	issuer := "https://" + request.URL.Host
	if _, known := issuerTypes[issuer]; known {
		recorder := httptest.NewRecorder()
		t.issuers.serveDiscovery(recorder, request.URL.Path, issuer)
		response := recorder.Result()
		response.Request = request
		return response, nil
	}
	if request.URL.Hostname() != "127.0.0.1" {
		return nil, fmt.Errorf("%s is not of this stand", request.URL.Host)
	}
	return t.next.RoundTrip(request)
}

func (i *issuers) serveDiscovery(w http.ResponseWriter, path, issuer string) {
	w.Header().Set("Content-Type", "application/json")
	switch path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer":                                issuer,
			"jwks_uri":                              issuer + "/keys",
			"authorization_endpoint":                issuer + "/auth",
			"token_endpoint":                        issuer + "/token",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	case "/keys":
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: i.key.Public(), KeyID: "stand", Algorithm: "ES256", Use: "sig"},
		}})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (i *issuers) serveToken(w http.ResponseWriter, r *http.Request) {
	token, err := i.token(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = w.Write([]byte(token))
}

func (i *issuers) token(query url.Values) (string, error) {
	issuer, identity := query.Get("issuer"), query.Get("identity")
	claims := map[string]any{}
	switch issuerTypes[issuer] {
	case "email":
		claims["sub"], claims["email"], claims["email_verified"] = identity, identity, true
	case "github-workflow":
		if err := workflowClaims(claims, identity); err != nil {
			return "", err
		}
	default:
		return "", fmt.Errorf("issuer %q is none of %v", issuer, issuerTypes)
	}
	for _, claim := range query["claim"] {
		name, value, found := strings.Cut(claim, "=")
		if !found {
			return "", fmt.Errorf("claim %q is not NAME=VALUE", claim)
		}
		claims[name] = value
	}
	now := time.Now().Unix()
	claims["iss"], claims["aud"] = issuer, "sigstore"
	claims["iat"], claims["nbf"], claims["exp"] = now, now, now+3600
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := i.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// What GitHub says of a job in the workflow https://github.com/OWNER/REPOSITORY/PATH@REF.
func workflowClaims(claims map[string]any, uri string) error {
	workflow, found := strings.CutPrefix(uri, "https://github.com/")
	path, ref, hasRef := strings.Cut(workflow, "@")
	parts := strings.SplitN(path, "/", 3)
	if !found || !hasRef || len(parts) != 3 {
		return fmt.Errorf("identity %q is not https://github.com/OWNER/REPOSITORY/PATH@REF", uri)
	}
	repository := parts[0] + "/" + parts[1]
	sha := strings.Repeat("0123456789", 4)
	for name, value := range map[string]string{
		"sub":                   "repo:" + repository + ":ref:" + ref,
		"job_workflow_ref":      workflow,
		"job_workflow_sha":      sha,
		"workflow_ref":          workflow,
		"workflow_sha":          sha,
		"sha":                   sha,
		"event_name":            "push",
		"repository":            repository,
		"repository_id":         "1001",
		"repository_owner":      parts[0],
		"repository_owner_id":   "2002",
		"repository_visibility": "public",
		"workflow":              "release",
		"ref":                   ref,
		"runner_environment":    "github-hosted",
		"run_id":                "3003",
		"run_attempt":           "1",
	} {
		claims[name] = value
	}
	return nil
}
