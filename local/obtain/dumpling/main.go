// dumpling with the password from the environment: its own main takes it from the command line only, where everybody
// on the machine can read it. A host that is a path is a Unix socket, of which dumpling itself knows nothing.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/pingcap/tidb/dumpling/cli"
	"github.com/pingcap/tidb/dumpling/export"
	"github.com/spf13/pflag"
)

func main() {
	conf := export.DefaultConfig()
	conf.DefineFlags(pflag.CommandLine)
	version := pflag.BoolP("version", "V", false, "Print the version")
	pflag.Parse()
	if *version {
		fmt.Printf("upkeep-dumpling %s\n", cli.ReleaseVersion)
		return
	}
	if err := conf.ParseFromFlags(pflag.CommandLine); err != nil {
		fail("the arguments are wrong", err)
	}
	if socket := conf.Host; strings.HasPrefix(socket, "/") {
		mysql.RegisterDialContext("socket", func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		})
		conf.Net = "socket"
	}
	conf.Password = os.Getenv("UPKEEP_DUMPLING_PASSWORD")
	dumper, err := export.NewDumper(context.Background(), conf)
	if err != nil {
		fail("cannot begin", err)
	}
	err = dumper.Dump()
	_ = dumper.Close()
	if err != nil {
		fail("failed", err)
	}
}

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", what, err)
	os.Exit(1)
}
