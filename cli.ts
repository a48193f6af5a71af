#!/usr/bin/env node
/** `memlane …`, the command line. */
import { main } from './src/cli/main.js'

void main(process.argv.slice(2))
