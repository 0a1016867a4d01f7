package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// RunPlugin starts a plugin that is a Node.js program (PulumiPlugin.yaml) and hands what it prints to the engine, which
// finds the plugin's port there.
func (h *host) RunPlugin(req *pulumirpc.RunPluginRequest, srv pulumirpc.LanguageRuntime_RunPluginServer) error {
	dir := req.GetInfo().GetProgramDirectory()
	node, err := exec.LookPath("node")
	if err != nil {
		return err
	}
	run, err := resolveModule(srv.Context(), node, dir, "@pulumi/pulumi/cmd/run-plugin")
	if err != nil {
		return err
	}
	var args []string
	if s, ok := req.GetInfo().GetOptions().AsMap()["nodeargs"].(string); ok {
		args = strings.Fields(s)
	}
	args = append(args, run, filepath.Join(dir, req.GetInfo().GetEntryPoint()))
	cmd := exec.CommandContext(srv.Context(), node, append(args, req.GetArgs()...)...)
	cmd.Dir, cmd.Env = req.GetPwd(), req.GetEnv()
	// A stream takes one message at a time.
	var sending sync.Mutex
	send := func(response *pulumirpc.RunPluginResponse) error {
		sending.Lock()
		defer sending.Unlock()
		return srv.Send(response)
	}
	cmd.Stdout = printed(func(text []byte) error {
		return send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stdout{Stdout: text}})
	})
	cmd.Stderr = printed(func(text []byte) error {
		return send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stderr{Stderr: text}})
	})
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	code := int32(cmd.ProcessState.ExitCode())
	return send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: code}})
}

// printed is one of a plugin's two streams.
type printed func(text []byte) error

func (p printed) Write(text []byte) (int, error) {
	// The caller uses its buffer again.
	if err := p(append([]byte(nil), text...)); err != nil {
		return 0, err
	}
	return len(text), nil
}
