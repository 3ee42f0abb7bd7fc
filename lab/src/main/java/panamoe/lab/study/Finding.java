package panamoe.lab.study;

import panamoe.harness.report.LineChart;

/**
 * What a part found.
 *
 * @param numbers the sentence that gives the verdict's numbers
 */
record Finding(Verdict verdict, String numbers, Table table, LineChart figure) {}
