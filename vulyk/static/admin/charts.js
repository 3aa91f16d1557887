/* Draws the tables of the first page as charts; without scripts the tables are there. Days are UTC. */
(function () {
  'use strict';

  var style = getComputedStyle(document.querySelector('.va-body'));
  var colour = function (name) { return style.getPropertyValue('--va-' + name).trim(); };

  function read(section) {
    var rows = Array.from(section.querySelectorAll('tr[data-at]')).reverse();
    return [
      rows.map(function (row) { return Number(row.dataset.at); }),
      rows.map(function (row) { return 'number' in row.dataset ? Number(row.dataset.number) : null; }),
    ];
  }

  /* 2026-11-20 as 11-20, and the hours between two of them. */
  function label(seconds) {
    var text = new Date(seconds * 1000).toISOString();
    return text.slice(11, 13) === '00' ? text.slice(5, 10) : text.slice(11, 16);
  }

  function draw(section) {
    var data = read(section);
    var step = data[0].length > 1 ? data[0][1] - data[0][0] : 1;
    var place = section.querySelector('.va-chart-canvas');
    var isBars = section.dataset.form === 'bars';
    var axis = {stroke: colour('muted'), grid: {stroke: colour('border'), width: 1}, ticks: {stroke: colour('border'), width: 1}};
    var size = function () { return {width: Math.max(place.clientWidth, 200), height: 200}; };
    var options = Object.assign(size(), {
      tzDate: function (seconds) { return window.uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'); },
      cursor: {drag: {setScale: false}},
      scales: {
        x: {range: function (plot, first, last) { return [first - step * 0.6, last + step * 0.6]; }},
        y: {range: function (plot, least, most) { return [0, Math.max(1, (most || 0) * 1.1)]; }},
      },
      axes: [
        Object.assign({values: function (plot, times) { return times.map(label); }}, axis),
        Object.assign({size: 60}, axis),
      ],
      series: [
        {label: section.dataset.when, value: '{YYYY}-{MM}-{DD} {HH}:{mm}'},
        {
          label: section.dataset.what,
          stroke: colour('accent'),
          width: isBars ? 0 : 2,
          fill: isBars ? colour('honey') : undefined,
          paths: isBars ? window.uPlot.paths.bars({size: [0.7, 40]}) : undefined,
          points: {show: !isBars},
        },
      ],
    });
    var plot = new window.uPlot(options, data, place);
    window.addEventListener('resize', function () { plot.setSize(size()); });
  }

  if (window.uPlot) { document.querySelectorAll('.va-chart').forEach(draw); }
}());
