package panamoe.harness;

import java.util.concurrent.Callable;

/**
 * A command of {@code panamoe}. A module lists its commands in {@code META-INF/services}, in the
 * order of the help.
 */
public interface Subcommand extends Callable<Integer> {}
