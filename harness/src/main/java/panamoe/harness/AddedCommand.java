package panamoe.harness;

import java.util.concurrent.Callable;

/**
 * A command of another module, which names its class in {@code META-INF/services}. It is there
 * where that module is on the class path.
 */
public interface AddedCommand extends Callable<Integer> {}
