// Command go-tfe-checker is a run task made of HashiCorp's own client library: what its types read, its callbacks say
// and its HTTP client does is what Sluice has to get along with when it hands a request on.
//
//	PORT=22180 HMAC_KEY=secret DENY=forbidden go-tfe-checker
//
// It fails a run whose plan gives an output the value that DENY names. It takes a request at once, says that it is
// running, and gives its verdict only when its standard input has ended, so that a test can look in between.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	tfe "github.com/hashicorp/go-tfe"
)

// The token of the request that HCP Terraform sends when a run task is registered.
const verificationToken = "test-token"

const (
	requestBytesMax = 1 << 20
	checkTakesMax   = 5 * time.Minute
)

type checker struct {
	key    []byte
	denied string
	// Closed when verdicts may be given.
	released <-chan struct{}
}

func main() {
	released := make(chan struct{})
	go func() {
		// Whatever is written there does not matter, only its end.
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(released)
	}()
	c := &checker{key: []byte(os.Getenv("HMAC_KEY")), denied: os.Getenv("DENY"), released: released}
	server := &http.Server{
		Addr:              "127.0.0.1:" + os.Getenv("PORT"),
		Handler:           c,
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

// ServeHTTP answers a run task request: 200 if it is taken.
func (c *checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestBytesMax))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	// The library has no words for this: each handler checks it by itself.
	if !c.signed(body, r.Header.Get("X-TFC-Task-Signature")) {
		http.Error(w, "the signature is wrong", http.StatusUnauthorized)
		return
	}
	var request tfe.RunTaskRequest
	if err := json.Unmarshal(body, &request); err != nil {
		http.Error(w, "this is not a run task request", http.StatusBadRequest)
		return
	}
	if request.AccessToken != verificationToken {
		go c.answer(request)
	}
	w.WriteHeader(http.StatusOK)
}

func (c *checker) signed(body []byte, signature string) bool {
	mac := hmac.New(sha512.New, c.key)
	mac.Write(body)
	given, err := hex.DecodeString(signature)
	return err == nil && hmac.Equal(given, mac.Sum(nil))
}

// answer says how the check goes, and in the end how it went.
func (c *checker) answer(request tfe.RunTaskRequest) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTakesMax)
	defer cancel()
	client, err := clientFor(request)
	if err != nil {
		log.Printf("no client: %v", err)
		return
	}
	say := func(options tfe.TaskResultCallbackRequestOptions) {
		err := client.RunTasksIntegration.Callback(ctx, request.TaskResultCallbackURL, request.AccessToken, options)
		log.Printf("said %s: %v", options.Status, err)
	}
	say(tfe.TaskResultCallbackRequestOptions{Status: tfe.TaskRunning, Message: "reading the plan"})
	verdict := c.verdict(ctx, request)
	select {
	case <-c.released:
		say(verdict)
	case <-ctx.Done():
		log.Print("nobody wants to hear the verdict")
	}
}

// clientFor returns a client of whoever asked, which may be somebody else than HCP Terraform.
func clientFor(request tfe.RunTaskRequest) (*tfe.Client, error) {
	callback, err := url.Parse(request.TaskResultCallbackURL)
	if err != nil {
		return nil, err
	}
	return tfe.NewClient(&tfe.Config{
		Address:           callback.Scheme + "://" + callback.Host,
		Token:             request.AccessToken,
		RetryServerErrors: true,
	})
}

// verdict looks at the plan, if the stage has one.
func (c *checker) verdict(ctx context.Context, request tfe.RunTaskRequest) tfe.TaskResultCallbackRequestOptions {
	if request.PlanJSONAPIURL == "" {
		return tfe.TaskResultCallbackRequestOptions{Status: tfe.TaskPassed, Message: "there is no plan to look at"}
	}
	denied, err := c.deniedOutputs(ctx, request)
	if err != nil {
		return tfe.TaskResultCallbackRequestOptions{Status: tfe.TaskFailed, Message: err.Error()}
	}
	if len(denied) == 0 {
		return tfe.TaskResultCallbackRequestOptions{Status: tfe.TaskPassed, Message: "no output is denied"}
	}
	var outcomes []*tfe.TaskResultOutcome
	for _, name := range denied {
		outcomes = append(outcomes, &tfe.TaskResultOutcome{
			OutcomeID:   "DENIED-" + name,
			Description: fmt.Sprintf("output %s is %s", name, c.denied),
			Body:        "# Fix\n\nGive it another value.",
			URL:         "https://checker.example/DENIED-" + name,
			Tags: map[string][]*tfe.TaskResultTag{
				"Severity": {{Label: "High", Level: "error"}},
				"Owner":    {{Label: "network"}},
			},
		})
	}
	return tfe.TaskResultCallbackRequestOptions{
		Status:   tfe.TaskFailed,
		Message:  fmt.Sprintf("%d outputs are denied", len(denied)),
		URL:      "https://checker.example/runs/" + request.RunID,
		Outcomes: outcomes,
	}
}

// deniedOutputs returns, in order, the names of the outputs that the plan gives the denied value.
func (c *checker) deniedOutputs(ctx context.Context, request tfe.RunTaskRequest) ([]string, error) {
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, request.PlanJSONAPIURL, nil)
	if err != nil {
		return nil, err
	}
	get.Header.Set("Authorization", "Bearer "+request.AccessToken)
	response, err := http.DefaultClient.Do(get)
	if err != nil {
		return nil, fmt.Errorf("cannot get the plan: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot get the plan: the answer is %s", response.Status)
	}
	var plan struct {
		OutputChanges map[string]struct {
			After any `json:"after"`
		} `json:"output_changes"`
	}
	if err := json.NewDecoder(response.Body).Decode(&plan); err != nil {
		return nil, fmt.Errorf("cannot read the plan: %w", err)
	}
	var denied []string
	for name, change := range plan.OutputChanges {
		if change.After == c.denied {
			denied = append(denied, name)
		}
	}
	slices.Sort(denied)
	return denied, nil
}
