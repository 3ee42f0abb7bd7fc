package panamoe.lab.study;

import panamoe.harness.report.LineChart;

/**
 * The result of a part of the study.
 *
 * @param ours the figure beside the paper's, with deviations
 * @param numbers a sentence with the numbers of the verdict
 */
record Finding(Verdict verdict, String ours, String numbers, StudyTable table, LineChart figure) {}
