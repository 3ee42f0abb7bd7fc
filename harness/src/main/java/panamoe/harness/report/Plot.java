package panamoe.harness.report;

/**
 * A drawing with its file name.
 *
 * @param name without extension, such as {@code layer-2-load}
 * @param caption one sentence that says how to read it
 * @param layer that it is about: the page shows it while this layer is chosen; null: always
 */
record Plot(String name, String caption, Svg svg, Integer layer) {
  Plot(String name, String caption, Svg svg) {
    this(name, caption, svg, null);
  }

  String html() {
    return Html.figure(svg, caption, Html.ofLayer(layer));
  }
}
