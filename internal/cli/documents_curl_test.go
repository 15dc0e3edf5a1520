package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// curl is a stand-in for the program of that name, with the flags that the documents
// use: -s, -i, -H, -d, --data-binary and -o. make examples runs the real one.
func curl(args []string) int {
	method, url, body, output := http.MethodGet, "", "", ""
	showHeader, header := false, http.Header{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		next := func() string {
			value := args[0]
			args = args[1:]
			return value
		}
		switch {
		case arg == "--data-binary":
			body, method = next(), http.MethodPost
		case strings.HasPrefix(arg, "--"):
			fmt.Fprintln(os.Stderr, "curl: a stand-in without", arg)
			return 2
		case strings.HasPrefix(arg, "-"):
			for _, flag := range arg[1:] {
				switch flag {
				case 's':
				case 'i':
					showHeader = true
				case 'H':
					name, value, _ := strings.Cut(next(), ":")
					header.Set(name, strings.TrimSpace(value))
				case 'd':
					body, method = next(), http.MethodPost
				case 'o':
					output = next()
				default:
					fmt.Fprintf(os.Stderr, "curl: a stand-in without -%c\n", flag)
					return 2
				}
			}
		default:
			url = arg
		}
	}
	if err := transfer(method, url, body, output, showHeader, header); err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		return 1
	}
	return 0
}

func transfer(method, url, body, output string, showHeader bool, header http.Header) error {
	if file, ok := strings.CutPrefix(body, "@"); ok {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		body = string(content)
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	to := os.Stdout
	if output != "" {
		if to, err = os.Create(output); err != nil {
			return err
		}
		defer to.Close()
	}
	if showHeader {
		fmt.Fprintf(to, "%s %s\n", resp.Proto, resp.Status)
		if err := resp.Header.Write(to); err != nil {
			return err
		}
	}
	_, err = io.Copy(to, resp.Body)
	return err
}
