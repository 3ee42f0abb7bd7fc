package panamoe.harness.report;

/**
 * A drawing with its file name.
 *
 * @param name without extension, such as {@code layer-2-load}
 * @param caption one sentence that says how to read it
 */
record Plot(String name, String caption, Svg svg) {}
