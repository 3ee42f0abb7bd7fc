package panamoe.harness;

import java.util.concurrent.Callable;

/**
 * A command of {@code panamoe}. Its module names its class in {@code META-INF/services}, in the
 * order of the help; it is there where that module is on the class path.
 */
public interface Subcommand extends Callable<Integer> {}
