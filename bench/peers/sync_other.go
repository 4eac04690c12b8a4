//go:build !linux

package main

import "os"

func fdatasync(*os.File) error { return errNoSync }
