package main

import (
	"errors"
	"net/url"
	"strings"
)

// parseEndpoint checks the address of a token service and brings it to one form. No error shows the text: it may hold a
// password.
func parseEndpoint(text string) (string, error) {
	parsed, err := url.Parse(strings.TrimSpace(text))
	if err != nil || !parsed.IsAbs() {
		return "", errors.New("api_endpoint must be an absolute URL such as https://tokens.example.com/api")
	}
	scheme := strings.ToLower(parsed.Scheme)
	if scheme != "http" && scheme != "https" {
		return "", errors.New("api_endpoint must begin with http:// or https://")
	}
	if parsed.Hostname() == "" {
		return "", errors.New("api_endpoint must be an absolute URL such as https://tokens.example.com/api")
	}
	if parsed.User != nil {
		return "", errors.New("api_endpoint must not hold a user or password; the service's key goes into api_key")
	}
	if parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" {
		return "", errors.New("api_endpoint must not hold a query (?…) or fragment (#…); paths such as /tokens are added to it")
	}
	host := strings.ToLower(parsed.Host)
	if port := parsed.Port(); scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return scheme + "://" + host + strings.TrimRight(parsed.EscapedPath(), "/"), nil
}

// below returns the address of something below an endpoint.
func below(endpoint string, segments ...string) string {
	for _, segment := range segments {
		endpoint += "/" + url.PathEscape(segment)
	}
	return endpoint
}
