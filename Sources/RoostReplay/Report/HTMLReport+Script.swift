extension HTMLReport {
  /// Reads the values under the pointer out below each chart. Without it the page loses nothing else.
  static let script = #"""
    "use strict";
    (() => {
      const data = JSON.parse(document.getElementById("roost-data").textContent);
      const [report, series] = [data.reports[0], data.series[0]];
      const ends = [];
      series.requests.reduce((sum, count, index) => ends[index] = sum + count, 0);
      const total = ends.length ? ends[ends.length - 1] : 0;
      const group = value => String(value).replace(/\B(?=(\d{3})+$)/g, ",");
      const percent = share => (share * 100).toFixed(1) + " %";
      const clock = milliseconds => {
        const seconds = Math.floor(milliseconds / 1000), two = value => String(value).padStart(2, "0");
        return Math.floor(seconds / 3600) + ":" + two(Math.floor(seconds / 60) % 60) + ":" + two(seconds % 60);
      };
      const says = {
        hits: index => percent(series.references[index] ? series.hits[index] / series.references[index] : 0) + " hits",
        sources: index => group(series.hits[index]) + " blocks loaded, " +
          group(series.references[index] - series.hits[index]) + " computed",
        pool: index => percent(series.occupied[index] / report.host_blocks) + " of the slots in use",
      };
      for (const chart of document.querySelectorAll("[data-chart]")) {
        const plot = chart.querySelector(".plot"), cursor = chart.querySelector(".cursor");
        const readout = chart.querySelector(".readout"), rest = readout.textContent;
        plot.addEventListener("pointermove", event => {
          const box = plot.getBoundingClientRect();
          const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
          const index = ends.findIndex(end => share * total <= end);
          if (index < 0) return;
          cursor.hidden = false;
          cursor.style.left = share * 100 + "%";
          const first = ends[index] - series.requests[index] + 1;
          const requests = first === ends[index] ? "request " + group(first)
            : "requests " + group(first) + " to " + group(ends[index]);
          readout.textContent = requests + ", at " + clock(series.milliseconds[index]) + ": " +
            says[chart.dataset.chart](index);
        });
        plot.addEventListener("pointerleave", () => { cursor.hidden = true; readout.textContent = rest; });
      }
    })();
    """#
}
