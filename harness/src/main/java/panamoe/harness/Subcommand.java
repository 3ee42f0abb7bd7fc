package panamoe.harness;

import java.util.concurrent.Callable;

/** A command of {@code panamoe}, listed in its module's {@code META-INF/services} in help order. */
public interface Subcommand extends Callable<Integer> {}
